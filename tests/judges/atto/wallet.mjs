// A wallet of the official client at a node and a work server, told what to do line by line.
//
// First line of standard input: {"node": url, "work": url, "mnemonic": phrase or null, "representative": address or
// null}; without a mnemonic the wallet makes one, with a representative it receives by itself. Every further line: {"id", "command", ...arguments}. Standard output:
// {"id", "result"} or {"id", "error"} a line, in the order in which they are ready. Documents of the ledger are JSON
// texts, amounts and heights are strings.
import { createInterface } from "node:readline";
import { core, hash, node, nodeRemote, publicKey, wallet, workerRemote, writeOutput } from "./commons.mjs";
import { judge } from "./judge.mjs";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const settings = JSON.parse((await lines.next()).value);
const client = new nodeRemote.AttoNodeClientAsyncBuilder(settings.node).build();
const worker = new workerRemote.AttoWorkerAsyncBuilder(settings.work).retryEverySeconds(1n).build();
const mnemonic = settings.mnemonic
  ? await core.AttoMnemonic.fromPhrase(settings.mnemonic)
  : await core.AttoMnemonic.generate();
const builder = new wallet.AttoWalletAsyncBuilder(client, worker).signerProviderSeed(
  await core.toSeedAsync(mnemonic),
);
if (settings.representative) {
  const monitor = new node.AttoAccountMonitorAsyncBuilder(client).build();
  const representative = core.AttoAddress.parse(settings.representative);
  builder.enableAutoReceiver(monitor, undefined, 1, () => representative);
}
const purse = builder.build();

const index = (number) => core.toAttoIndex(number);
const height = (text) => core.toAttoHeight(text);
const json = (document) => document?.toJson() ?? null;

// The items of a stream until `enough` of them, or until the stream ends by itself.
function collect(subscribe, enough) {
  return new Promise((resolve, reject) => {
    const items = [];
    const job = subscribe(
      (item) => {
        items.push(item.toJson());
        if (enough(item, items)) {
          resolve(items);
          job.cancel();
        }
      },
      (error) => (error ? reject(error) : resolve(items)),
    );
  });
}

const count = (wanted) => (_, items) => items.length >= wanted;
const never = () => false;

const transactions = (it) =>
  collect(
    (item, end) =>
      client.onTransactionByPublicKey(publicKey(it.publicKey), height(it.from), height(it.to), item, end),
    never,
  );

const commands = {
  mnemonic: async () => mnemonic.phrase,
  open: async (it) => (await purse.openAccount(index(it.index))).address.path,
  account: async (it) => json(await purse.getAccountByIndex(index(it.index))),
  send: async (it) =>
    json(
      await purse.sendByIndex(
        index(it.index),
        core.AttoAddress.parse(it.address),
        core.toAttoAmount(it.amount),
      ),
    ),
  change: async (it) => json(await purse.change(index(it.index), core.AttoAddress.parse(it.address))),

  // The node client by itself.
  publish: async (it) => (await client.publish(core.AttoTransaction.fromJson(it.transaction))) ?? null,
  nodeAccount: async (it) => json(await client.accountByPublicKey(publicKey(it.publicKey))),
  nodeAccounts: async (it) =>
    (await client.accountByAddresses(it.addresses.map((text) => core.AttoAddress.parse(text)))).map(json),
  transaction: async (it) => json(await client.transaction(hash(it.hash))),
  entry: async (it) => json(await client.accountEntry(hash(it.hash))),
  now: async () => (await client.now()).toString(),
  weight: async (it) => String(await client.voterWeight(core.AttoAddress.parse(it.address))),
  entries: (it) =>
    collect(
      (item, end) =>
        client.onAccountEntryByPublicKey(publicKey(it.publicKey), height(it.from), height(it.to), item, end),
      never,
    ),
  transactions,
  verdicts: async (it) => Promise.all((await transactions(it)).map(judge)),
  receivables: (it) =>
    collect(
      (item, end) =>
        client.onReceivableByPublicKey(publicKey(it.publicKey), core.toAttoAmount(it.minimum), item, end),
      count(it.count),
    ),
  // The states of one account until it has reached a height.
  states: (it) =>
    collect(
      (item, end) => client.onAccountByPublicKey(publicKey(it.publicKey), item, end),
      (state) => BigInt(state.height.toString()) >= BigInt(it.height),
    ),

  // The worker by itself: work for the block of a transaction.
  work: async (it) => core.toHex((await worker.workBlock(core.AttoTransaction.fromJson(it.transaction).block)).value),
};

async function run(line) {
  const { id, command, ...it } = JSON.parse(line);
  try {
    writeOutput({ id, result: await commands[command](it) });
  } catch (error) {
    writeOutput({ id, error: String(error?.message ?? error) });
  }
}

for await (const line of lines) run(line);
purse.close();
process.exit(0);
