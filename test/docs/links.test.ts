import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

const ROOT = path.join(import.meta.dirname, "../..");
const DOCUMENTS = [
  "README.md",
  ...readdirSync(path.join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** Targets of `[text](target)` outside of code. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
}

/** Anchors of a document's headings, as GitHub makes them. */
function anchorsOf(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#+ (.+)$/gm)].map((match) => match[1] ?? "");
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** Why a link from a document leads nowhere; undefined when it does lead somewhere. */
function brokenBecause(document: string, link: string): string | undefined {
  const [file = "", anchor] = link.split("#");
  const target = path.join(ROOT, path.dirname(document), file);
  const place = file === "" ? path.join(ROOT, document) : target;
  if (!existsSync(place)) return `${link}: no such file`;
  if (anchor === undefined || !place.endsWith(".md")) return undefined;
  return anchorsOf(readFileSync(place, "utf8")).has(anchor) ? undefined : `${link}: no such heading`;
}

test.each(DOCUMENTS)("every relative link in %s leads somewhere", (document) => {
  const links = linksOf(readFileSync(path.join(ROOT, document), "utf8"));
  const relative = links.filter((link) => !/^[a-z]+:/.test(link));
  expect(relative.map((link) => brokenBecause(document, link)).filter(Boolean)).toEqual([]);
});

test.each(DOCUMENTS)("every source file that %s names exists", (document) => {
  const text = readFileSync(path.join(ROOT, document), "utf8");
  const named = [...text.matchAll(/`((?:src|test|tools|bench|docs|bin)\/[\w./-]*\w)`/g)].map(
    (match) => match[1] ?? "",
  );
  expect(named.filter((name) => !existsSync(path.join(ROOT, name)))).toEqual([]);
});
