import { type BlockDevice, DiskError } from "../host/block-device.ts";
import type { DiskOperation } from "./device-request.ts";

const ZEROES_BYTES = 1 << 20;

/** In the machine's thread: a disk that the program keeps. Every operation is a message and an answer. */
export class ProgramDisk implements BlockDevice {
  readonly format = "program";
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly #ask: (id: number, operation: DiskOperation) => void;
  readonly #waiting = new Map<number, PromiseWithResolvers<Uint8Array | undefined>>();
  #nextId = 0;

  constructor(sizeBytes: number, readOnly: boolean, ask: (id: number, operation: DiskOperation) => void) {
    this.sizeBytes = sizeBytes;
    this.readOnly = readOnly;
    this.#ask = ask;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const bytes = await this.#do({ kind: "read", offset, length: into.length });
    if (bytes?.length !== into.length)
      throw new DiskError(`the program gave ${bytes?.length ?? "no"} bytes in place of ${into.length}`);
    into.set(bytes);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.readOnly) throw new DiskError("the disk is read-only");
    await this.#do({ kind: "write", offset, bytes: Uint8Array.from(bytes) });
  }

  async flush(): Promise<void> {
    if (!this.readOnly) await this.#do({ kind: "flush" });
  }

  /** What the guest no longer needs stays. */
  async discard(): Promise<void> {}

  async writeZeroes(offset: number, length: number): Promise<void> {
    for (let done = 0; done < length; done += ZEROES_BYTES)
      await this.write(offset + done, new Uint8Array(Math.min(ZEROES_BYTES, length - done)));
  }

  async close(): Promise<void> {
    await this.flush();
  }

  done(id: number, bytes: Uint8Array | undefined): void {
    this.#take(id)?.resolve(bytes);
  }

  failed(id: number, reason: string): void {
    this.#take(id)?.reject(new DiskError(reason));
  }

  #do(operation: DiskOperation): Promise<Uint8Array | undefined> {
    const id = this.#nextId++;
    const answer = Promise.withResolvers<Uint8Array | undefined>();
    this.#waiting.set(id, answer);
    this.#ask(id, operation);
    return answer.promise;
  }

  #take(id: number): PromiseWithResolvers<Uint8Array | undefined> | undefined {
    const answer = this.#waiting.get(id);
    this.#waiting.delete(id);
    return answer;
  }
}
