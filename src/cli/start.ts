/** What bin/ringfence runs: the program from the bundle, or from its sources where that is missing or older than they are. */
import path from "node:path";
import { pathToFileURL } from "node:url";
import { loadModule, ROOT } from "../host/node/bundle.ts";

// This file is in the bundle itself, so a path beside it would not lead to the sources.
const SOURCES = pathToFileURL(path.join(ROOT, "src", "cli", "main.ts")).href;

// Not awaited: the bundle's files are no modules of ECMAScript. What goes wrong is told by Node.js.
void loadModule("main", () => import(SOURCES));
