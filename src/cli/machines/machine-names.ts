import { UsageError } from "../usage-error.ts";

const MOST_CHARACTERS = 40;
const QUALITIES =
  "amber brave brisk calm clever cosy deft eager early fair gentle glad golden green happy keen kind lively lucid " +
  "merry mild neat nimble quick quiet ready royal sharp silver sunny swift tidy warm wise witty young";
const ANIMALS =
  "badger beaver bison crane deer dingo eagle falcon ferret finch fox gecko heron hare ibex jay koala lark lemur " +
  "lynx marten mole newt otter owl panda puffin quail raven robin seal shrew stork swan tapir tern vole wren yak";

export function isMachineName(text: string): boolean {
  return /^[a-zA-Z0-9][\w.-]*$/.test(text) && text.length <= MOST_CHARACTERS;
}

/** Reads the name of a machine as the user types it. @throws {UsageError} */
export function parseMachineName(text: string, option = "--name"): string {
  if (isMachineName(text)) return text;
  throw new UsageError(
    `${option} ${text}: a name begins with a letter or digit, goes on with those and . _ -, and has up to ${MOST_CHARACTERS} of them`,
  );
}

/** A name that nobody has chosen, such as brave-otter. */
export function randomMachineName(): string {
  const pick = (words: string) => {
    const list = words.split(" ");
    return list[Math.floor(Math.random() * list.length)] ?? "";
  };
  return `${pick(QUALITIES)}-${pick(ANIMALS)}`;
}
