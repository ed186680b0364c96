// Integer operations of instruction-set extensions that would be long in WebAssembly for every place they stand in.
export { aesDecrypt, aesEncrypt, aesInverseMix, aesSubstituteWord } from "./aes";
export { pdep, pext } from "./bit-deposit";
export { multiplyCarryLess } from "./carry-less";
export { crc32 } from "./crc32";
export { compareStringsExplicit, compareStringsImplicit } from "./string-compare";
