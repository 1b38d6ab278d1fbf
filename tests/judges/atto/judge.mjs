// What the official client says about a transaction that it reads from JSON text.
import { core } from "./commons.mjs";

export async function judge(text) {
  let transaction;
  try {
    transaction = core.AttoTransaction.fromJson(text);
  } catch (error) {
    return { error: `unreadable: ${error.message}` };
  }
  const validation = await transaction.validate();
  return {
    error: validation.isValid ? null : validation.getError(),
    hash: transaction.hash.toString(),
    type: transaction.block.type.name,
    bytes: core.toHex(transaction.toByteArray()),
    json: transaction.toJson(),
  };
}
