"""Side-by-side benchmarks: Taskledger and its peers on one machine, in one run, in turns."""
