import type { OptionDescription } from "./options.ts";

/** Where what an option does begins. A longer option has it on the next lines. */
const TEXT_COLUMN = 26;
/** What fits most terminals that are wider than 80. */
const LINE_COLUMNS = 100;

/** Options as help lists them, with their letters and the few values that one takes. */
export function optionLines(options: readonly OptionDescription[]): string[] {
  return options.flatMap((option) => {
    const text = wrapped(textOf(option)).map((line) => " ".repeat(TEXT_COLUMN) + line);
    const head = headOf(option);
    if (head.length > TEXT_COLUMN - 2) return [head, ...text];
    return [head + (text[0] ?? "").slice(head.length), ...text.slice(1)];
  });
}

function headOf({ name, short, value }: OptionDescription): string {
  const letter = name === "help" ? "h" : short;
  return `  ${letter === undefined ? "    " : `-${letter}, `}--${name}${value === undefined ? "" : ` ${value}`}`;
}

function textOf({ help, choices }: OptionDescription): string {
  return choices === undefined ? help : `${help}; one of ${choices.join(", ")}`;
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > LINE_COLUMNS - TEXT_COLUMN) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
