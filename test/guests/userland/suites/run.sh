#!/bin/sh
# Runs the suites named by the parameters, or all. Lines "SUITE ..." must be the same in a guest and on its host.
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1 HOME=/tmp TMPDIR=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /tmp || exit 1
python=$(ls /usr/bin/python3.[0-9]* | head -n 1)
for suite in ${*:-string_functions openssl python perl lapack}; do
  case $suite in
    string_functions)
      /lib64/ld-linux-x86-64.so.2 --help | sed -n 's/^  x86-64/CPU level x86-64/p'
      $python /suites/string_functions.py ;;
    openssl) sh /suites/openssl.sh ;;
    python) $python /suites/python.py \
      test_float test_math test_cmath test_complex test_decimal test_fractions test_int test_long test_numeric_tower \
      test_operator test_random test_statistics test_strtod test_string test_unicode test_bytes test_userstring \
      test_fstring test_format test_struct test_array test_memoryview test_re test_codecs test_textwrap \
      test_binascii test_zlib test_hashlib test_hmac ;;
    lapack)
      # Debian's programs for amd64 calculate in SSE, those for i386 in x87.
      busybox sh /suites/lapack.sh sse
      chroot /i386 busybox sh /suites/lapack.sh x87 ;;
    perl) perl /suites/perl.pl base/num.t opbasic/arith.t opbasic/cmp.t opbasic/concat.t opbasic/qq.t \
      op/64bitint.t op/append.t op/arith2.t op/auto.t op/bop.t op/chop.t op/chr.t op/cmpchain.t op/concat2.t \
      op/exp.t op/hexfp.t op/inc.t op/index.t op/infnan.t op/int.t op/join.t op/lc.t op/length.t op/negate.t \
      op/numconvert.t op/numify.t op/oct.t op/ord.t op/overload_integer.t op/pack.t op/pow.t op/quotemeta.t \
      op/rand.t op/range.t op/repeat.t op/reverse.t op/sort.t op/split.t op/split_unicode.t op/sprintf.t \
      op/sprintf2.t op/srand.t op/substr.t op/tr.t op/tr_latin1.t op/utf8decode.t op/vec.t op/ver.t op/upgrade.t \
      re/pat.t re/regexp.t re/subst.t re/pos.t re/reg_fold.t ;;
  esac
done
echo SUITESDONE
