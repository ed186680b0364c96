"""Prints where the C library's string functions lead: its IFUNC resolvers have chosen by CPUID."""
import ctypes
import re

libc = ctypes.CDLL("libc.so.6")
with open("/proc/self/maps") as maps:
    base = min(int(line.split("-")[0], 16) for line in maps if re.search(r"/libc[.-]", line))
for name in "memchr memcmp memcpy memmove memset rawmemchr strcat strchr strcmp strcpy strlen strncmp strnlen strrchr wcslen".split():
    address = ctypes.cast(getattr(libc, name), ctypes.c_void_p).value
    print(f"IFUNC {name} {address - base:x}")
