// Memory at guest physical addresses, for table walks by the core and for physical writes by the machine.
import { PAGE_BYTES } from "../../layout/memory-map";
import { noteRamWrite } from "./code-map";
import { readDevice, writeDevice } from "./device-access";
import { DEVICE, locatePhysical } from "./translate";

const BUFFER: usize = memory.data(8, 8);

export function readPhysical8(physical: u64): u64 {
  return readPhysical(physical, 1);
}

export function readPhysical16(physical: u64): u64 {
  return readPhysical(physical, 2);
}

export function readPhysical32(physical: u64): u64 {
  return readPhysical(physical, 4);
}

export function readPhysical64(physical: u64): u64 {
  return readPhysical(physical, 8);
}

export function writePhysical8(physical: u64, value: u64): void {
  writePhysical(physical, 1, value);
}

export function writePhysical16(physical: u64, value: u64): void {
  writePhysical(physical, 2, value);
}

export function writePhysical32(physical: u64, value: u64): void {
  writePhysical(physical, 4, value);
}

export function writePhysical64(physical: u64, value: u64): void {
  writePhysical(physical, 8, value);
}

function readPhysical(physical: u64, bytes: i32): u64 {
  store<u64>(BUFFER, 0);
  const first = min(bytes, PAGE_BYTES - <i32>(physical & (PAGE_BYTES - 1)));
  readPart(physical, first, BUFFER);
  if (first < bytes) readPart(physical + first, bytes - first, BUFFER + first);
  return load<u64>(BUFFER);
}

function writePhysical(physical: u64, bytes: i32, value: u64): void {
  store<u64>(BUFFER, value);
  const first = min(bytes, PAGE_BYTES - <i32>(physical & (PAGE_BYTES - 1)));
  writePart(physical, first, BUFFER);
  if (first < bytes) writePart(physical + first, bytes - first, BUFFER + first);
}

function readPart(physical: u64, bytes: i32, target: usize): void {
  const host = locatePhysical(physical);
  if (host == DEVICE) readDevice(physical, bytes, target);
  else memory.copy(target, host, bytes);
}

function writePart(physical: u64, bytes: i32, source: usize): void {
  const host = locatePhysical(physical);
  if (host == DEVICE) {
    writeDevice(physical, bytes, source);
    return;
  }
  memory.copy(host, source, bytes);
  noteRamWrite(host, bytes);
}
