// The thread of one machine: its entry does nothing but start quickly.
import { loadModule } from "../host/node/bundle.ts";
import { keepCompiledSources } from "../host/node/compile-cache.ts";

keepCompiledSources();
const { serveMachine } = await loadModule("serve-machine", () => import("./serve-machine.ts"));
await serveMachine();
