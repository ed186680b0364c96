# Runs perl's own tests, named from the folder t of its sources, and prints for each what it reported.
# The programs write "ok N" and "not ok N"; what is marked TODO is known not to work, SKIP does not apply here.
use strict;
use warnings;

chdir "/suites/perl/t" or die "no tests: $!";
for my $test (@ARGV) {
    my $output = `/usr/bin/perl $test 2>/dev/null </dev/null`;
    my $status = $? >> 8;
    my @lines = split /\n/, $output;
    my $ok = grep { /^ok/ && !/# *skip/i } @lines;
    my $skipped = grep { /^ok.*# *skip/i } @lines;
    my $todo = grep { /^not ok.*# *TODO/ } @lines;
    my $failed = grep { /^not ok/ && !/# *TODO/ } @lines;
    my ($plan) = $output =~ /^1\.\.(\d+)/m;
    printf "SUITE perl %s: plan %s, ok %d, failed %d, todo %d, skipped %d, status %d\n",
        $test, $plan // "none", $ok, $failed, $todo, $skipped, $status;
}
