// Wallets of the official library at one wallet service, told what to do line by line.
//
// First line of standard input: {"service", "socket", "node", "mining", "network"}. Every further line: {"id", "command",
// ...arguments}. Standard output: {"id", "result"} or {"id", "error"} a line, in the order in which they are ready, and
// {"wallet", "event", "data"} for what a wallet emits. Amounts are texts like "5n".
import { createInterface } from "node:readline";
import wallet_lib from "@hathor/wallet-lib";

const { HathorWalletServiceWallet, Network, Transaction, config, walletUtils } = wallet_lib;
const { PushNotification } = wallet_lib.PushNotification;

console.log = console.warn = console.info = console.error; // standard output carries answers only
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const settings = JSON.parse((await lines.next()).value);
config.setWalletServiceBaseUrl(settings.service);
config.setWalletServiceBaseWsUrl(settings.socket);
config.setServerUrl(settings.node); // the library asks the node itself about contracts
config.setTxMiningUrl(settings.mining);
config.setNetwork(settings.network);
const PIN = "123456";
const PASSWORD = "password";

const wallets = {};
const AMOUNT = /^-?\d+n$/;
const read = (_, value) => (typeof value === "string" && AMOUNT.test(value) ? BigInt(value.slice(0, -1)) : value);
const write = (_, value) => (typeof value === "bigint" ? `${value}n` : value);
const say = (line) => process.stdout.write(JSON.stringify(line, write) + "\n");

// What a method of the library gave: a list from a stream, a transaction as its id and bytes, plain data as it is.
async function plain(result) {
  if (result?.[Symbol.asyncIterator]) {
    const items = [];
    for await (const item of result) items.push(item);
    return items;
  }
  if (typeof result?.toHex === "function") return { hash: result.hash, hex: result.toHex() };
  return result ?? null;
}

// Of words, of their keys alone (`by_keys`), or of a public key.
function open({ wallet, words, xpub, realtime, by_keys, passphrase, single_address }) {
  const opened = new HathorWalletServiceWallet({
    requestPassword: async () => PIN,
    ...(by_keys ? keys(words) : { seed: words ?? null, xpub: xpub ?? null }),
    passphrase: passphrase ?? "",
    singleAddressMode: single_address ?? false,
    network: new Network(settings.network),
    enableWs: realtime,
  });
  for (const event of ["new-tx", "update-tx", "reload-data", "state"])
    opened.on(event, (data) => say({ wallet, event, data: data ?? null }));
  opened.conn.on("state", (data) => say({ wallet, event: "connection", data }));
  wallets[wallet] = opened;
}

function keys(words) {
  const root = walletUtils.getXPrivKeyFromSeed(words, { networkName: settings.network });
  const authentication = HathorWalletServiceWallet.deriveAuthPrivateKey(root);
  return { xpriv: root.deriveNonCompliantChild("m/44'/280'/0'").xprivkey, authxpriv: authentication.xprivkey };
}

const usual_weight = Transaction.prototype.calculateWeight;

const commands = {
  open,
  xpub: (it) => walletUtils.getXPubKeyFromSeed(it.words, { networkName: settings.network }),
  words: () => walletUtils.generateWalletWords(),
  start: async (it) => {
    const started_ms = performance.now();
    await wallets[it.wallet].start({ pinCode: PIN, password: PASSWORD });
    return performance.now() - started_ms;
  },
  call: async (it) => plain(await wallets[it.wallet][it.method](...it.arguments)),
  prepared: async (it) => {
    const wallet = wallets[it.wallet];
    const transaction = await wallet[it.method](...it.arguments);
    await wallet.signTx(transaction, { pinCode: PIN });
    return plain(await wallet.handleSendPreparedTransaction(transaction));
  },
  // Calls a contract as another address than the transaction was built for.
  call_as: async (it) => {
    const wallet = wallets[it.wallet];
    const sending = await wallet.createNanoContractTransaction(...it.arguments, { signTx: false });
    await wallet.setNanoHeaderCaller(sending.transaction.getNanoHeaders()[0], it.caller);
    await wallet.signTx(sending.transaction, { pinCode: PIN });
    return plain(await sending.runFromMining());
  },
  property: (it) => wallets[it.wallet][it.name],
  // The weight of every transaction from now on; the library's own when none is given.
  weight: (it) => void (Transaction.prototype.calculateWeight = it.weight ? () => it.weight : usual_weight),
  push: (it) => PushNotification[it.method](wallets[it.wallet], it.payload),
};

async function run(line) {
  const { id, command, ...it } = JSON.parse(line, read);
  try {
    say({ id, result: (await commands[command](it)) ?? null });
  } catch (error) {
    const cause = error?.cause ? ` ${JSON.stringify(error.cause, write)}` : "";
    const data = error?.response ? ` ${error.response.status} ${JSON.stringify(error.response.data)}` : "";
    say({ id, error: `${error?.constructor?.name}: ${error?.message ?? error}${cause}${data}` });
  }
}

for await (const line of lines) run(line);
process.exit(0); // the library leaves timers running
