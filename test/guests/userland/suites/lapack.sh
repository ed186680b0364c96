# Runs the tests of BLAS and LAPACK that Debian packages, in the tree that is the root here. They print residuals of
# many thousand calculations: the hash of a program's output says whether all of these came out the same. Those that
# take longest are left out: xlintst, and xeigtst with svd.in and ec.in. Some fail by a hair in x87's precision.
# Parameter: what to call the processor's arithmetic in the output. All programs but those tested are busybox's.
arithmetic=$1
set -- /usr/lib/*-linux-gnu
libraries=$1
export LD_LIBRARY_PATH=$libraries/blas:$libraries/lapack
box=$(command -v busybox)
$box mkdir -p /tmp/lapack
cd /tmp/lapack || exit 1

# Hides what depends on time, and counts what failed: "run" and "failed to pass the threshold" are the programs' words.
report() {
  $box grep -v -i 'seconds\|time used\|Start of' > report
  failed=$($box grep -c -i 'failed to pass\|fatal\|FAIL\|illegal' report)
  passed=$($box grep -c -i 'passed\|pass' report)
  echo "SUITE $arithmetic $1: $($box sha256sum < report | $box cut -c1-24) passed $passed, failed $failed"
  $box rm -f ./*
}

for program in xblat1s xblat1d xblat1c xblat1z xscblat1 xdcblat1 xccblat1 xzcblat1; do
  "$libraries/blas/$program" 2>&1 | report $program
done
for kind in s d c z; do
  for level in 2 3; do
    "$libraries/blas/xblat$level$kind" < "$libraries/blas/${kind}blat$level.in" > out 2>&1
    $box cat ./* | report "xblat$level$kind"
    "$libraries/blas/x${kind}cblat$level" < "$libraries/blas/${kind}in$level" 2>&1 | report "x${kind}cblat$level"
  done
done
for kind in s d; do
  "$libraries/lapack/xlintstrf$kind" < "$libraries/lapack/${kind}test_rfp.in" 2>&1 | report "xlintstrf$kind"
  for input in nep sep ${kind}ed ${kind}gd ${kind}bal ${kind}bak ${kind}gbal ${kind}gbak glm gqr gsv lse; do
    "$libraries/lapack/xeigtst$kind" < "$libraries/lapack/$input.in" 2>&1 | report "xeigtst$kind $input"
  done
done
