import { LAYER_BLOCK_BYTES } from "../../host/block-device.ts";
import {
  CPU_STATE_BYTES,
  GUEST_RAM_LIMIT,
  PAGE_BYTES,
  RECORDS,
  RECORDS_END,
} from "../../layout/memory-map.ts";
import { VmError } from "../../layout/vm-error.ts";
import { MINIMUM_RAM_BYTES } from "../../memory/guest-memory.ts";
import { Board } from "../board.ts";
import type { MachineState } from "../machine-state.ts";
import { diskBytes } from "./disk-blocks.ts";
import {
  type Chunk,
  type CodeSection,
  LARGEST_CHUNK_BYTES,
  type MemoryChunk,
  type SavedBytes,
  type SnapshotHead,
} from "./format.ts";
import { differenceInKind } from "./plain-data.ts";

const CHUNK_MODEL: Chunk = { at: 0, packedBytes: 0, sizeBytes: 0, codec: "none", crc32: 0 };
const MOST_CODE_BYTES = RECORDS_END - RECORDS;
const CODECS: readonly string[] = ["none", "zstd", "deflate"];

/**
 * Checks the head of a snapshot, whose checksum is right: that it is one of this version, and that all that is used as
 * an address or a size may be. Only what another program or a bug has written fails here.
 *
 * @param chunksEnd Where the chunks end in the file.
 * @throws {VmError} `snapshot-foreign`.
 */
export function checkHead(head: unknown, path: string, chunksEnd: number): SnapshotHead {
  const refuse = (what: string): never => {
    throw new VmError({ code: "snapshot-foreign", path, reason: `${what} is not as this version has it` });
  };
  const difference = differenceInKind(head, headModel());
  if (difference !== undefined) refuse(difference === "" ? "its head" : difference);
  const checked = head as SnapshotHead;
  const { ramBytes, debugExitPort } = checked.configuration;
  if (!isWithin(ramBytes, MINIMUM_RAM_BYTES, GUEST_RAM_LIMIT) || ramBytes % PAGE_BYTES !== 0) {
    refuse("configuration.ramBytes");
  }
  if (debugExitPort !== null && !isWithin(debugExitPort, 0, 0xffff)) refuse("configuration.debugExitPort");
  if (checked.state.processor.length !== CPU_STATE_BYTES) refuse("state.processor");
  if ((checked.state.random === null) === checked.configuration.deterministic) refuse("state.random");
  if ((checked.state.board.secondUart !== null) !== checked.configuration.secondSerial) {
    refuse("state.board.secondUart");
  }
  // What else is in there is checked when the devices are there to compare it with.
  const isDevice = (device: unknown) =>
    typeof device === "object" && device !== null && "name" in device && typeof device.name === "string";
  if (!checked.state.board.virtio.every(isDevice)) refuse("state.board.virtio");
  const pages = ramBytes / PAGE_BYTES;
  for (const [index, chunk] of checked.memory.entries()) {
    const fits = isChunk(chunk, chunksEnd) && pageCount(chunk, pages) * PAGE_BYTES === chunk.sizeBytes;
    if (!fits) refuse(`memory[${index}]`);
  }
  if (!areRuns(checked.zeroPages, pages)) refuse("zeroPages");
  const { code } = checked;
  const sections = code === null ? [] : [code.shapes, code.runModule, code.handlerModule, code.pages];
  if (!sections.every((section) => areBytes(section, chunksEnd))) refuse("code");
  if (code !== null && (code.shapes.sizeBytes % 8 !== 0 || code.pages.sizeBytes % 4 !== 0)) refuse("code");
  if (code?.groups.every((group) => isChunk(group, chunksEnd)) === false) refuse("code.groups");
  for (const { sizeBytes, blocks } of checked.disks) {
    const count = Math.ceil(sizeBytes / LAYER_BLOCK_BYTES);
    const fits = (chunk: MemoryChunk) =>
      isChunk(chunk, chunksEnd) &&
      areRuns(chunk.pages, count) &&
      diskBytes(chunk.pages, sizeBytes) === chunk.sizeBytes;
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || !blocks.every(fits)) refuse("disks");
  }
  for (const { address, sizeBytes, pieces } of checked.bootPlan?.images ?? []) {
    if (!isWithin(address, 0, ramBytes) || !isWithin(sizeBytes, 0, ramBytes - address)) refuse("bootPlan");
    if (!pieces.every((piece) => isChunk(piece, chunksEnd))) refuse("bootPlan");
  }
  return checked;
}

function isChunk({ at, packedBytes, sizeBytes, codec }: Chunk, chunksEnd: number): boolean {
  return (
    isWithin(at, 0, chunksEnd) &&
    isWithin(packedBytes, 0, Math.min(chunksEnd - at, LARGEST_CHUNK_BYTES)) &&
    isWithin(sizeBytes, 0, LARGEST_CHUNK_BYTES) &&
    CODECS.includes(codec)
  );
}

function areBytes({ sizeBytes, pieces }: SavedBytes, chunksEnd: number): boolean {
  const sum = pieces.reduce((bytes, piece) => bytes + (isChunk(piece, chunksEnd) ? piece.sizeBytes : NaN), 0);
  return sum === sizeBytes && sum <= MOST_CODE_BYTES;
}

function pageCount({ pages }: MemoryChunk, ramPages: number): number {
  if (!areRuns(pages, ramPages)) return -1;
  return pages.reduce((sum, count, i) => sum + (i % 2 === 1 ? count : 0), 0);
}

function areRuns(runs: readonly number[], ramPages: number): boolean {
  if (runs.length % 2 !== 0) return false;
  return runs.every((value, i) =>
    i % 2 === 0 ? isWithin(value, 0, ramPages) : isWithin(value, 1, ramPages - (runs[i - 1] ?? 0)),
  );
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most;
}

/** A head with one of everything. */
function headModel(): SnapshotHead {
  return {
    madeBy: "",
    configuration: { ramBytes: 0, deterministic: false, debugExitPort: 0, secondSerial: false },
    parent: { name: "", checksum: "" },
    state: stateModel(),
    bootPlan: {
      images: [{ address: 0, sizeBytes: 0, pieces: [CHUNK_MODEL] }],
      rest: null,
    },
    disks: [{ serial: "", sizeBytes: 0, below: "", blocks: [{ ...CHUNK_MODEL, pages: [0] }] }],
    code: codeModel(),
    memory: [{ ...CHUNK_MODEL, pages: [0] }],
    zeroPages: [0],
  };
}

function codeModel(): CodeSection {
  const section: SavedBytes = { sizeBytes: 0, pieces: [CHUNK_MODEL] };
  return {
    ...{ key: "", inlineShapes: 0, nextHandler: 0, shapes: section },
    ...{ runModule: section, handlerModule: section, pages: section, groups: [CHUNK_MODEL] },
  };
}

/** The state of a machine that has just been made. */
function stateModel(): MachineState {
  const nothing = () => {};
  const board = new Board({
    nowNs: () => 0,
    unixTimeMs: () => 0,
    serialOutput: { write: nothing },
    secondSerialOutput: { write: nothing },
    debugExitPort: undefined,
    onTimerScheduled: nothing,
    onInterruptPending: nothing,
    onNonMaskableInterrupt: nothing,
    onA20: nothing,
    onReset: nothing,
    onPowerOff: nothing,
    onDebugExit: nothing,
  });
  return {
    nowNs: 0,
    random: 0n,
    resets: 0,
    resetAsked: false,
    earlierInstructions: 0,
    serialInput: new Uint8Array(),
    secondSerialInput: new Uint8Array(),
    processor: new Uint8Array(),
    board: board.state,
  };
}
