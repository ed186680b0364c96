// The thread of one machine: its entry does nothing but start quickly.
import { keepCompiledSources } from "../host/node/compile-cache.ts";

keepCompiledSources();
const { serveMachine } = await import("./serve-machine.ts");
await serveMachine();
