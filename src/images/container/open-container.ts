import { mkdirSync, statSync } from "node:fs";
import path from "node:path";
import { systemErrorText } from "../../host/node/files.ts";
import { VmError } from "../../layout/vm-error.ts";
import {
  type BlobSource,
  checkDigest,
  FolderSource,
  invalid,
  openDecompressed,
  readArchive,
  readText,
  unpackBlobs,
} from "./blob-source.ts";
import { type ContainerImage, containerConfig } from "./container-image.ts";
import { asObject, type JsonObject, listIn, objectIn, parseObject, textIn, textsIn } from "./json-value.ts";

/** Which of several images in one archive. */
const REFERENCE = "org.opencontainers.image.ref.name";
/** Indexes may lead to further indexes. */
const MOST_INDEXES = 4;

/** Where a container image is, and how much it may hold. */
export interface ContainerRequest {
  /** A tar archive (of a root file system, of docker, of an OCI layout), compressed or not, or an OCI layout's folder. */
  readonly path: string;
  /** Which image, where there are several. */
  readonly tag: string | undefined;
  /** A folder for files meanwhile. */
  readonly work: string;
  /** Of each archive, decompressed. */
  readonly mostBytes: number;
}

/**
 * Finds out what an archive or folder holds and opens it.
 * @throws {VmError} `archive-invalid`, `file-not-found`, `file-unreadable`.
 */
export async function openContainer(request: ContainerRequest): Promise<ContainerImage> {
  const { path: file, work, mostBytes } = request;
  const status = statSync(file, { throwIfNoEntry: false });
  if (status === undefined) throw new VmError({ code: "file-not-found", path: file });
  if (status.isDirectory()) {
    const source = new FolderSource(file);
    if (source.file("oci-layout") === undefined)
      throw invalid(file, "a folder, but not an OCI image layout: it has no file oci-layout");
    return openLayout(source, request);
  }
  const kind = await kindOf(file, mostBytes);
  if (kind === "root") {
    const config = containerConfig(undefined);
    return { config, layers: [() => openDecompressed(file, mostBytes)] };
  }
  const blobs = path.join(work, "blobs");
  mkdirSync(blobs);
  const source = await unpackBlobs(file, blobs, mostBytes);
  return kind === "docker" ? openDocker(source, request) : openLayout(source, request);
}

/** A root file system has no file manifest.json or oci-layout at its top. */
async function kindOf(file: string, mostBytes: number): Promise<"root" | "docker" | "layout"> {
  const names = new Set<string>();
  let members = 0;
  try {
    await readArchive(file, mostBytes, async ({ name }) => {
      members++;
      const plain = name.replace(/^(\.?\/)+/, "");
      if (plain === "manifest.json" || plain === "oci-layout" || plain === "index.json") names.add(plain);
    });
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    throw new VmError({ code: "file-unreadable", path: file, reason: systemErrorText(cause) }, { cause });
  }
  if (members === 0) throw invalid(file, "it is no tar archive, or an empty one");
  // What docker writes today is both; the older form is the simpler one.
  if (names.has("manifest.json")) return "docker";
  return names.has("oci-layout") && names.has("index.json") ? "layout" : "root";
}

/** `docker save`: manifest.json is a list of images. */
async function openDocker(source: BlobSource, request: ContainerRequest): Promise<ContainerImage> {
  const { path: file, tag, mostBytes } = request;
  const images = listIn(parseObject(`{"images":${readText(source, "manifest.json", file)}}`), "images").map(
    asObject,
  );
  const byTag = images.map((image) => ({ image, tags: textsIn(image, "RepoTags") }));
  const found = choose(
    byTag,
    ({ tags }) => tags,
    request,
    (wanted, tags) =>
      tags.some((one) => one === wanted || one.endsWith(`:${wanted}`) || one.startsWith(`${wanted}:`)),
  );
  const config = parseObject(readText(source, textIn(found.image, "Config") ?? "", file));
  checkPlatform(config, file);
  const layers = textsIn(found.image, "Layers").map((name) => {
    const layer = source.file(name);
    if (layer === undefined)
      throw invalid(file, `it has no layer ${name}${tag === undefined ? "" : ` of ${tag}`}`);
    return () => openDecompressed(layer, mostBytes);
  });
  return { config: containerConfig(config), layers };
}

/** An OCI image layout (OCI image-spec, image-layout.md): everything is named by its SHA-256, which is checked. */
async function openLayout(source: BlobSource, request: ContainerRequest): Promise<ContainerImage> {
  const { path: file, mostBytes } = request;
  const index = parseObject(readText(source, "index.json", file));
  const manifest = await findManifest(source, index, request);
  const config = parseObject(await readBlob(source, objectIn(manifest, "config"), file));
  checkPlatform(config, file);
  const layers: ContainerImage["layers"][number][] = [];
  for (const layer of listIn(manifest, "layers").map(asObject)) {
    const blob = await findBlob(source, layer, file);
    layers.push(() => openDecompressed(blob, mostBytes));
  }
  return { config: containerConfig(config), layers };
}

async function findManifest(
  source: BlobSource,
  first: JsonObject | undefined,
  request: ContainerRequest,
): Promise<JsonObject> {
  let index = first;
  for (let depth = 0; depth < MOST_INDEXES; depth++) {
    const entries = listIn(index, "manifests").map(asObject);
    const fitting = entries.filter((entry) => isOurs(objectIn(entry, "platform")));
    const reference = (entry: JsonObject | undefined) =>
      textIn(objectIn(entry, "annotations"), REFERENCE) ?? "";
    const entry =
      depth === 0
        ? choose(
            fitting,
            (one) => [reference(one)],
            request,
            (wanted, [name]) => name === wanted,
          )
        : fitting[0];
    const manifest = parseObject(await readBlob(source, entry, request.path));
    if (manifest === undefined) throw invalid(request.path, "a manifest in it is not JSON");
    if (listIn(manifest, "manifests").length === 0) return manifest;
    index = manifest;
  }
  throw invalid(request.path, "its indexes lead from one to the next without end");
}

function choose<T>(
  images: readonly T[],
  namesOf: (image: T) => readonly string[],
  { path: file, tag }: ContainerRequest,
  matches: (wanted: string, names: readonly string[]) => boolean,
): T {
  const fitting = tag === undefined ? images : images.filter((image) => matches(tag, namesOf(image)));
  const [image] = fitting;
  if (image !== undefined && fitting.length === 1) return image;
  const names = images.flatMap(namesOf).filter((name) => name !== "");
  if (images.length === 0) throw invalid(file, "it has no image for amd64");
  const what = tag === undefined ? "it has several images" : `it has no single image ${tag}`;
  throw invalid(file, `${what}; choose one with --tag: ${names.join(", ")}`);
}

/** No platform named is taken for ours. */
function isOurs(platform: JsonObject | undefined): boolean {
  if (platform === undefined) return true;
  return textIn(platform, "architecture") === "amd64" && textIn(platform, "os") === "linux";
}

function checkPlatform(config: JsonObject | undefined, file: string): void {
  if (config === undefined) throw invalid(file, "its configuration is not JSON");
  const architecture = textIn(config, "architecture") ?? "amd64";
  if (architecture !== "amd64") throw invalid(file, `it is for ${architecture}; only amd64 can be run`);
}

async function readBlob(
  source: BlobSource,
  descriptor: JsonObject | undefined,
  file: string,
): Promise<string> {
  await findBlob(source, descriptor, file);
  return readText(source, blobName(descriptor, file), file);
}

async function findBlob(
  source: BlobSource,
  descriptor: JsonObject | undefined,
  file: string,
): Promise<string> {
  const name = blobName(descriptor, file);
  const blob = source.file(name);
  if (blob === undefined) throw invalid(file, `it has no ${name}`);
  await checkDigest(blob, name.slice(name.lastIndexOf("/") + 1), file);
  return blob;
}

function blobName(descriptor: JsonObject | undefined, file: string): string {
  const digest = /^sha256:([0-9a-f]{64})$/.exec(textIn(descriptor, "digest") ?? "");
  if (digest === null) throw invalid(file, "something in it is not named by its SHA-256");
  return `blobs/sha256/${digest[1]}`;
}
