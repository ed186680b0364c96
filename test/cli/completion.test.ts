import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { COMPLETED_COMMANDS } from "../../src/cli/completion/completed-commands.ts";
import { completionScript } from "../../src/cli/completion/completion-script.ts";
import { RUN_IMAGE_OPTIONS } from "../../src/cli/image-options.ts";
import { COMMANDS, RUN_OPTIONS, SHELLS, type Shell } from "../../src/cli/options.ts";
import { IDLE_KERNEL } from "../snapshot/small-machine.ts";

const BIN = path.resolve(import.meta.dirname, "../../bin");
const folder = mkdtempSync(path.join(os.tmpdir(), "rf-"));
const images = path.join(folder, "images");
const work = path.join(folder, "work");
const environment = {
  ...process.env,
  PATH: `${BIN}:${process.env["PATH"]}`,
  HOME: folder,
  XDG_RUNTIME_DIR: folder,
  XDG_STATE_HOME: folder,
  XDG_CONFIG_HOME: folder,
  XDG_DATA_HOME: folder,
  RINGFENCE_IMAGES: images,
  TERM: "dumb",
};
const run = (...words: string[]) => spawnSync(path.join(BIN, "ringfence"), words, { env: environment });

beforeAll(() => {
  // Names are offered for what is broken too, which is to be removed.
  for (const name of ["alpine", "debian"]) mkdirSync(path.join(images, name), { recursive: true });
  mkdirSync(path.join(work, "subfolder"), { recursive: true });
  writeFileSync(path.join(work, "vmlinuz-6"), "");
  const kernel = path.join(folder, "idle");
  writeFileSync(kernel, IDLE_KERNEL);
  expect(run("run", "-d", "--name", "completed", "--kernel", kernel, "--memory", "32M").status).toBe(0);
});
afterAll(() => {
  run("stop", "-f", "completed");
  rmSync(folder, { recursive: true });
});

/** Each shell's own machinery, asked what it offers for the last of these words. */
const OFFERS: Record<Shell, (words: string[]) => string> = {
  bash: (words) =>
    shell(
      "bash",
      ["--norc", "-c"],
      [
        completionScript("bash"),
        `COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})`,
        `COMP_CWORD=${words.length - 1}`,
        `_ringfence ringfence '${words.at(-1)}' '${words.at(-2)}'`,
        `printf "%s\\n" "\${COMPREPLY[@]}"`,
        // What "-o default" adds.
        `if [ "\${#COMPREPLY[@]}" = 0 ]; then compgen -f -- '${words.at(-1)}'; fi`,
      ],
    ),
  fish: (words) =>
    shell("fish", ["--no-config", "-c"], [completionScript("fish"), `complete -C '${words.join(" ")}'`]),
  // A terminal of zsh's own, in which its list of matches is caught.
  zsh: (words) =>
    shell(
      "zsh",
      ["-f", "-c"],
      [
        "zmodload zsh/zpty",
        "zpty inner zsh -f -i",
        `zpty -w inner ${zshQuoted(ZSH_INNER)}`,
        "until [[ $line == *READY* ]]; do zpty -r inner line || exit 1; done",
        `zpty -w -n inner ${zshQuoted(`${words.join(" ")}\t`)}`,
        "out=",
        "until [[ $out == *COMPLETED* ]]; do zpty -r inner line || exit 1; out+=$line; done",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is zsh's own notation.
        "print -r -- ${${out#*OFFERS}%%COMPLETED*}",
      ],
    ),
};
const ZSH_INNER = `
PS1=; autoload -U compinit; compinit -D -u; source ${folder}/ringfence.zsh
zstyle ':completion:*' format ''
compadd () {
  local -a shown; local word
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)* ]]; then builtin compadd "$@"; return; fi
  builtin compadd -O shown "$@"; offered+=($shown)
  builtin compadd "$@"
}
catch () { offered=(); zle complete-word; print -l OFFERS $offered COMPLETED; zle kill-whole-line }
zle -N catch; bindkey '^I' catch; unsetopt zle_bracketed_paste 2>/dev/null; print REA''DY`.trim();
const zshQuoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function shell(program: Shell, parameters: string[], lines: string[]): string {
  writeFileSync(path.join(folder, "ringfence.zsh"), completionScript("zsh"));
  const options = { encoding: "utf8", env: environment, cwd: work, timeout: 50_000 } as const;
  const { stdout, stderr } = spawnSync(program, [...parameters, lines.join("\n")], options);
  expect(stderr).toBe("");
  return stdout;
}

describe.each(SHELLS)("%s", (name) => {
  const isThere = spawnSync(name, ["-c", "true"]).error === undefined;
  const shellTest = test.skipIf(!isThere);
  const suffix = isThere ? "" : ` (skipped: there is no ${name})`;
  const offers = (...words: string[]) => {
    const lines = OFFERS[name](["ringfence", ...words]).split(/[\r\n]+/);
    // fish says behind a tab what a word does; zsh looks for files twice.
    const offered = lines.map((line) => line.replace(/\t.*/, "").trim()).filter((line) => line !== "");
    return [...new Set(offered)];
  };

  shellTest(`completes commands${suffix}`, () => {
    expect(offers("")).toEqual(expect.arrayContaining(COMMANDS.map((command) => command.name)));
    expect(offers("sn")).toEqual(["snapshot"]);
  });

  shellTest(`completes every option of a command${suffix}`, () => {
    const known = [...RUN_OPTIONS, ...RUN_IMAGE_OPTIONS].map((option) => `--${option.name}`);
    expect(offers("run", "--").sort()).toEqual(known.sort());
    expect(offers("exec", "--wo").map((word) => word.replace(/=$/, ""))).toEqual(["--workdir"]);
  });

  shellTest(
    `completes the values of options: the few that are possible, or files, or nothing${suffix}`,
    () => {
      expect(offers("run", "--engine", "lock")).toEqual(["lockstep", "lockstep-auto"]);
      expect(offers("run", "--kernel", "vml")).toEqual(["vmlinuz-6"]);
      expect(offers("run", "--share", "su").map((word) => word.replace(/\/$/, ""))).toEqual(["subfolder"]);
      expect(offers("run", "--network", "us")).toEqual(["user"]);
    },
  );

  shellTest(`completes the names of machines that run, and leaves a guest's commands alone${suffix}`, () => {
    expect(offers("exec", "comp")).toEqual(["completed"]);
    expect(offers("stop", "-f", "comp")).toEqual(["completed"]);
    expect(offers("exec", "--env", "A=b", "comp")).toEqual(["completed"]);
    expect(offers("exec", "completed", "--wo")).toEqual([]);
    expect(offers("exec", "completed", "gue")).toEqual([]);
    expect(offers("exec", "completed", "ls", "--env", "gue")).toEqual([]);
    expect(offers("cp", "comp").map((word) => word.replace(/:$/, ""))).toEqual(["completed"]);
    expect(offers("cp", "completed:/etc/passwd", "vml")).toEqual(["vmlinuz-6"]);
  });

  shellTest(`completes the names of images${suffix}`, () => {
    expect(offers("run", "deb")).toEqual(["debian"]);
    expect(offers("run", "--memory", "1G", "alp")).toEqual(["alpine"]);
    expect(offers("rm", "alpine", "deb")).toEqual(["debian"]);
    expect(offers("inspect", "--json", "al")).toEqual(["alpine"]);
  });

  shellTest(`completes options behind an image, and leaves its command alone${suffix}`, () => {
    expect(offers("run", "alpine", "--ephem")).toEqual(["--ephemeral"]);
    expect(offers("run", "alpine", "--engine", "lockstep-")).toEqual(["lockstep-auto"]);
    expect(offers("run", "alpine", "ls", "--ephem")).toEqual([]);
    expect(offers("run", "alpine", "--memory", "1G", "ls", "--ephem")).toEqual([]);
    expect(offers("run", "alpine", "ls", "--engine", "lock")).toEqual([]);
    expect(offers("run", "alpine", "--", "--ephem")).toEqual([]);
    expect(offers("run", "alpine", "gue")).toEqual([]);
  });

  shellTest(`completes what disk does, then files${suffix}`, () => {
    expect(offers("disk", "co")).toEqual(["convert"]);
    expect(offers("disk", "info", "vml")).toEqual(["vmlinuz-6"]);
  });

  shellTest(`finds no error in its script${suffix}`, () => {
    const script = path.join(folder, `ringfence.${name}`);
    writeFileSync(script, completionScript(name));
    const check = spawnSync(name, ["-n", script], { encoding: "utf8" });
    expect([check.status, check.stderr]).toEqual([0, ""]);
  });
});

test("every command with options or words is known to completion", () => {
  expect(COMPLETED_COMMANDS.map((command) => command.name)).toEqual(COMMANDS.map((command) => command.name));
  const bare = COMPLETED_COMMANDS.filter(({ options, first }) => options.length === 0 && first.length === 0);
  expect(bare).toEqual([]);
});
