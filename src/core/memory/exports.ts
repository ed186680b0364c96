// What the memory folder offers to the engines and to TypeScript.
export { commitWrite, modifySlow, prepareWrite, readSlow } from "./access";
export { writeSlow, writeSlow128, writeSlow256, writeSlow80 } from "./access";
export { enterCode, findCode, forgetCode } from "./code-index";
export { noteDeviceWrite } from "./code-map";
export { loadElement, storeElements } from "./elements";
export { flushJumpCache } from "./jump-cache";
export { readLinear8, readLinear16, readLinear32, readLinear64 } from "./linear-memory";
export { writeLinear8, writeLinear16, writeLinear32, writeLinear64 } from "./linear-memory";
export { readSystem64, writeSystem64, hostForRead, hostForWrite } from "./linear-memory";
export { fillForRegion, regionPageAt, validateRegion } from "./region-pages";
export { readPhysical8, readPhysical16, readPhysical32, readPhysical64 } from "./physical-memory";
export { writePhysical8, writePhysical16, writePhysical32, writePhysical64 } from "./physical-memory";
export { flushTlb, initialiseTlb, invalidatePage, protectAllPages, protectCodePage } from "./tlb";
export { translateExecute } from "./translate";
