# The totals of all test programs in the output of `cargo test`, as one line: "N passed, N failed, N skipped".
/^test result: / {
    for (i = 2; i <= NF; i++) {
        if ($i ~ /^passed/) passed += $(i - 1)
        if ($i ~ /^failed/) failed += $(i - 1)
        if ($i ~ /^ignored/) skipped += $(i - 1)
    }
}
END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }
