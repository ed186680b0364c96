import type { OptionDescription } from "./options.ts";

/** One option as help lists it. */
export function optionLine({ name, value, help }: OptionDescription): string {
  return `  ${`--${name}${value === undefined ? "" : ` ${value}`}`.padEnd(22)}${help}`;
}
