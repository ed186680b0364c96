import type { Row } from "../row.ts";

// Decimal arithmetic (Intel SDM Vol. 1, "Decimal Arithmetic Instructions"); examples of the manual's own among them. What a row says is in row.ts.

// biome-ignore format: a table
export const decimal32: readonly Row[] = [
  ["daa", "27", "rax=ae", "rax=14 CF PF AF OF?"],
  ["daa", "27", "rax=2e CF", "rax=94 CF AF SF OF?"],
  ["daa", "27", "rax=79", "rax=79 OF?"],
  ["daa", "27", "rax=9a", "rax=0 CF PF AF ZF OF?"],
  ["das", "2f", "rax=ee", "rax=88 CF PF AF SF OF?"],
  ["das", "2f", "rax=35", "rax=35 PF OF?"],
  ["das", "2f", "rax=5 AF", "rax=ff CF PF AF SF OF?"],
  ["aaa", "37", "rax=20f", "rax=305 CF AF PF? ZF? SF? OF?"],
  ["aaa", "37", "rax=205 CF", "rax=205 PF? ZF? SF? OF?"],
  ["aaa", "37", "rax=2f0 AF", "rax=306 CF AF PF? ZF? SF? OF?"],
  ["aas", "3f", "rax=2ff", "rax=109 CF AF PF? ZF? SF? OF?"],
  ["aas", "3f", "rax=205", "rax=205 PF? ZF? SF? OF?"],
  ["aas", "3f", "rax=200 AF", "rax=0a CF AF PF? ZF? SF? OF?"],
  ["aam 0xa", "d4 0a", "rax=3f", "rax=603 PF CF? AF? OF?"],
  ["aam 0x10", "d4 10", "rax=ab", "rax=a0b CF? AF? OF?"],
  ["aam 0x0", "d4 00", "rax=5", "#DE"],
  ["aad 0xa", "d5 0a", "rax=603", "rax=3f PF CF? AF? OF?"],
  ["aad 0x10", "d5 10", "rax=a0b", "rax=ab SF CF? AF? OF?"],
  ["salc", "d6", "rax=1234 CF ZF", "rax=12ff CF ZF"],
  ["salc", "d6", "rax=1234", "rax=1200"],
];
