"""What ``bench_judgement`` is made of: crowds judged once, the rows that are read off them, and their intervals."""
