const MOST_CHARACTERS = 300;

/** Text of a guest for a message: without control characters, which a terminal would obey, and of bounded length. */
export function printableText(text: string): string {
  const plain = text
    .slice(0, MOST_CHARACTERS)
    .replace(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
  return text.length > MOST_CHARACTERS ? `${plain}...` : plain;
}

/** A file's name or path, a character a byte, for a message. */
export function printableName(name: string): string {
  return printableText(decodedName(name));
}

/** A file's name or path, a character a byte, as text. */
export function decodedName(name: string): string {
  return new TextDecoder().decode(Uint8Array.from(name, (byte) => byte.charCodeAt(0)));
}
