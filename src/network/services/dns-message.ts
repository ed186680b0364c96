import { readU16, readU32 } from "../big-endian.ts";
import type { IpAddress } from "../ip/ip-address.ts";

const HEADER_BYTES = 12;
const TYPE_A = 1;
const TYPE_AAAA = 28;
const CLASS_IN = 1;
/** Of the addresses that we give out. */
const LIFETIME_S = 60;
const RESPONSE = 0x80;
const MAXIMUM_NAME_BYTES = 255;
const MAXIMUM_RECORDS = 256;

/** Response codes of RFC 1035, 4.1.1. */
export const SERVER_FAILURE = 2;
export const NAME_ERROR = 3;

/** What an answer says: the name that was asked for and the addresses that belong to it. */
export interface DnsAnswer {
  readonly name: string;
  readonly addresses: readonly { readonly address: IpAddress; readonly lifetimeS: number }[];
}

/** The name of a message's first question, in lower case; undefined when the message is malformed. */
export function questionName(message: Uint8Array): string | undefined {
  if (message.length < HEADER_BYTES || readU16(message, 4) === 0) return undefined;
  return readName(message, HEADER_BYTES)?.name;
}

/** Reads the addresses in a response; undefined when it is malformed. All of them count for the name in the question. */
export function parseDnsAnswer(message: Uint8Array): DnsAnswer | undefined {
  const name = questionName(message);
  if (name === undefined || readU16(message, 4) !== 1 || (message[2]! & RESPONSE) === 0) return undefined;
  let at = (readName(message, HEADER_BYTES)?.end ?? 0) + 4;
  const addresses: { address: IpAddress; lifetimeS: number }[] = [];
  const count = Math.min(readU16(message, 6), MAXIMUM_RECORDS);
  for (let i = 0; i < count; i++) {
    const owner = readName(message, at);
    if (owner === undefined || owner.end + 10 > message.length) return undefined;
    const type = readU16(message, owner.end);
    const length = readU16(message, owner.end + 8);
    const data = owner.end + 10;
    if (data + length > message.length) return undefined;
    const isAddress = (type === TYPE_A && length === 4) || (type === TYPE_AAAA && length === 16);
    if (isAddress) {
      addresses.push({
        address: message.slice(data, data + length),
        lifetimeS: readU32(message, owner.end + 4),
      });
    }
    at = data + length;
  }
  return { name, addresses };
}

/**
 * The answer to a question for the address of a name that `find` knows: an IPv4 one; of all else the name has none. Undefined
 * for what is no such question.
 */
export function dnsAddress(
  query: Uint8Array,
  find: (name: string) => IpAddress | undefined,
): Uint8Array | undefined {
  const name = readU16(query, 4) === 1 ? questionName(query) : undefined;
  const address = name === undefined ? undefined : find(name);
  const head = address === undefined ? undefined : dnsFailure(query, 0);
  if (address === undefined || head === undefined) return undefined;
  if (head.length < 4 || readU16(head, head.length - 4) !== TYPE_A) return head;
  const record = [
    0xc0,
    HEADER_BYTES,
    0,
    TYPE_A,
    0,
    CLASS_IN,
    0,
    0,
    0,
    LIFETIME_S,
    0,
    address.length,
    ...address,
  ];
  const answer = new Uint8Array(head.length + record.length);
  answer.set(head);
  answer.set(record, head.length);
  answer[7] = 1;
  return answer;
}

/** The answer to `query` that says only why there is none; undefined for what is no query. */
export function dnsFailure(query: Uint8Array, code: number): Uint8Array | undefined {
  if (query.length < HEADER_BYTES || (query[2]! & RESPONSE) !== 0) return undefined;
  const question = readU16(query, 4) === 0 ? undefined : readName(query, HEADER_BYTES);
  const end = question === undefined ? HEADER_BYTES : Math.min(query.length, question.end + 4);
  const answer = query.slice(0, end);
  answer[2]! |= RESPONSE;
  answer[3] = 0x80 | code; // recursion available
  answer.fill(0, 4, HEADER_BYTES);
  if (question !== undefined) answer[5] = 1;
  return answer;
}

/** Reads a name, following compression; `end` is behind it where it stands. */
function readName(message: Uint8Array, start: number): { name: string; end: number } | undefined {
  const labels: string[] = [];
  let length = 0;
  let end: number | undefined;
  let at = start;
  for (;;) {
    const size = message[at];
    if (size === undefined) return undefined;
    if (size >= 0xc0) {
      if (at + 1 >= message.length) return undefined;
      const target = readU16(message, at) & 0x3fff;
      end ??= at + 2;
      // Pointers lead back only, so that they end.
      if (target >= at) return undefined;
      at = target;
      continue;
    }
    if (size > 63 || at + 1 + size > message.length) return undefined;
    if (size === 0) return { name: labels.join("."), end: end ?? at + 1 };
    length += size + 1;
    if (length > MAXIMUM_NAME_BYTES) return undefined;
    labels.push(String.fromCharCode(...message.subarray(at + 1, at + 1 + size)).toLowerCase());
    at += size + 1;
  }
}
