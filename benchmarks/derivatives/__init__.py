"""How well derivatives are recognised: quantised copies, adapters, merges, hybrids, stacks, disguises; on models made here."""
