/**
 * Runs a program that nobody trusts, in a fresh machine made for it alone.
 *
 *     node examples/run-untrusted.ts 'seq 10 | awk "{ sum += $1 } END { print sum }"'
 *
 * The first run boots the machine once and keeps a snapshot of it; later ones take a fraction of a second.
 */
import process from "node:process";
import { defaultSnapshot, VirtualMachine } from "ringfence";

const program = process.argv[2];
if (program === undefined) {
  console.error("usage: node examples/run-untrusted.ts PROGRAM   (a shell script, which may call awk)");
  process.exit(2);
}

const snapshot = await defaultSnapshot({ progress: (line) => console.error(line) });

const startMs = performance.now();
await using machine = await VirtualMachine.restore(snapshot);
await machine.start();
const { status, stdout, stderr } = await machine.exec(program, {
  signal: AbortSignal.timeout(60_000),
  mostOutputBytes: 1 << 20,
});
const milliseconds = performance.now() - startMs;

process.stdout.write(stdout);
process.stderr.write(stderr);
console.log(`exit status ${status}, ${milliseconds.toFixed(0)} ms from snapshot to result`);
