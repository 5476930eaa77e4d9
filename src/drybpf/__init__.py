"""drybpf runs eBPF in user space: no kernel, no root, no compiler."""
