// Standard input: a JSON array of transactions, each as JSON text. Standard output: what the official client
// says about each of them. Texts stay texts on the way, because JSON numbers of JavaScript lose digits.
import { readInput, writeOutput } from "./commons.mjs";
import { judge } from "./judge.mjs";

writeOutput(await Promise.all((await readInput()).map(judge)));
