# OpenSSL with and without the instructions for AES, carry-less multiplication, SHA and vectors: known answers, the
# digests of a random file, ciphers over it, signatures with fixed keys; at last its speed test runs.
file=/suites/random.bin
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
iv=f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff

expect() {
  [ "$2" = "$3" ] && echo "SUITE openssl $1: as published" || echo "SUITE openssl $1: $2 instead of $3"
}
digest() { openssl dgst -"$1" -r | cut -c1-"$2"; }
block() { printf '%s' "$3" | sed 's/../\\x&/g' | xargs -0 printf | openssl enc -"$1" -nopad -K "$2" | od -An -tx1 | tr -d ' \n'; }

known_answers() {
  # FIPS 180-4's examples of NIST, and the appendices of FIPS 197.
  expect "$1 sha1" "$(printf abc | digest sha1 40)" a9993e364706816aba3e25717850c26c9cd0d89d
  expect "$1 sha256" "$(printf abc | digest sha256 64)" ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
  expect "$1 sha512" "$(printf abc | digest sha512 32)" ddaf35a193617abacc417349ae204131
  expect "$1 sha1, a million times a" "$(head -c 1000000 /dev/zero | tr '\0' a | digest sha1 40)" 34aa973cd4c4daa4f61eeb2bdbad27316534016f
  expect "$1 sha256, a million times a" "$(head -c 1000000 /dev/zero | tr '\0' a | digest sha256 64)" cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0
  plain=00112233445566778899aabbccddeeff
  expect "$1 aes-128" "$(block aes-128-ecb 000102030405060708090a0b0c0d0e0f $plain)" 69c4e0d86a7b0430d8cdb78070b4c55a
  expect "$1 aes-192" "$(block aes-192-ecb 000102030405060708090a0b0c0d0e0f1011121314151617 $plain)" dda97ca4864cdfe06eaf70a0ec0d7191
  expect "$1 aes-256" "$(block aes-256-ecb $key $plain)" 8ea2b7ca516745bfeafc49904b496089
}

compared() {
  for name in md5 sha1 sha224 sha256 sha384 sha512 sha3-256 sha3-512 blake2b512 blake2s256; do
    echo "SUITE openssl $1 $name: $(openssl dgst -$name -r $file | cut -c1-32)"
  done
  for name in aes-128-cbc aes-192-cbc aes-256-cbc aes-128-ctr aes-256-ctr aes-256-cfb aes-256-ofb chacha20 camellia-256-cbc; do
    length=$(echo $name | sed 's/.*-\([0-9]*\)-.*/\1/; s/chacha20/256/')
    k=$(echo $key | cut -c1-$((length / 4)))
    openssl enc -$name -K "$k" -iv $iv -in $file -out /tmp/secret
    openssl enc -d -$name -K "$k" -iv $iv -in /tmp/secret | cmp - $file && back="and back" || back="not back"
    echo "SUITE openssl $1 $name: $(openssl dgst -sha256 -r /tmp/secret | cut -c1-32) $back"
  done
  # A private key of Ed25519 is any 32 bytes; its signatures are determined.
  printf '%s\n' -----BEGIN\ PRIVATE\ KEY----- MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f -----END\ PRIVATE\ KEY----- > /tmp/key
  openssl pkeyutl -sign -inkey /tmp/key -rawin -in /suites/openssl.sh -out /tmp/signature
  echo "SUITE openssl $1 ed25519: $(openssl dgst -sha256 -r /tmp/signature | cut -c1-32)"
  openssl genrsa -out /tmp/rsa 2048 2>/dev/null
  openssl dgst -sha256 -sign /tmp/rsa -out /tmp/signature $file
  echo "SUITE openssl $1 rsa: $(openssl dgst -sha256 -prverify /tmp/rsa -signature /tmp/signature $file)"
}

echo "CPU $(openssl info -cpusettings)"
known_answers accelerated
compared accelerated
# Without AES, PCLMULQDQ, SSSE3, AVX; without AVX2, BMI1, BMI2, ADX, SHA.
export OPENSSL_ia32cap='~0x1200020000000202:~0x20080128'
known_answers plain
compared plain
unset OPENSSL_ia32cap

openssl speed -seconds 1 -bytes 8192 -evp aes-128-gcm > /tmp/speed 2>&1 && echo "SPEED $(tail -n 1 /tmp/speed)"
for name in sha256 aes-256-cbc rsa2048 ecdsap256; do
  openssl speed -seconds 1 $name > /tmp/speed 2>&1 && echo "SPEED $(tail -n 1 /tmp/speed)"
done
echo SPEEDDONE
