import { isUtf8 } from "node:buffer";

/**
 * Words of other programs are bytes, and need not be UTF-8. As text, a byte that is no part of a character is the lone
 * surrogate U+DC00 + byte, which no UTF-8 has, so that the bytes can be had back.
 */
export function textOfBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (isUtf8(buffer)) return buffer.toString("utf8");
  let text = "";
  for (let at = 0; at < buffer.length; ) {
    const character = buffer.subarray(at, at + characterBytes(buffer[at] ?? 0));
    const isCharacter = isUtf8(character);
    text += isCharacter ? character.toString("utf8") : String.fromCharCode(0xdc00 + (buffer[at] ?? 0));
    at += isCharacter ? character.length : 1;
  }
  return text;
}

/** The bytes that `textOfBytes` made this text of; of other text, UTF-8. */
export function bytesOfText(text: string): Uint8Array<ArrayBuffer> {
  const parts = text.split(/([\udc80-\udcff])/u);
  return Buffer.concat(
    parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part) : Buffer.of(part.charCodeAt(0) - 0xdc00))),
  );
}

/** Whether the text is of bytes that are not UTF-8. */
export function hasLoneBytes(text: string): boolean {
  return /[\udc80-\udcff]/u.test(text);
}

/** Of a character that begins with this byte (Unicode, table 3-7). */
function characterBytes(first: number): number {
  return first < 0xe0 ? (first < 0x80 ? 1 : 2) : first < 0xf0 ? 3 : 4;
}
