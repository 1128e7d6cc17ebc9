"""The corpus: what every detector says about well-kept packages, read and labelled.

`python -m tests.corpus` (or `make corpus`) downloads the pinned source distributions, runs `mlstaff check` over them
and rewrites `findings.tsv`: package, path, line, rule, tier, label, reason, message. Labels are kept by place and
rule, so a changed detector shows its effect as a diff of that file. Inline findings without a label are listed at the
end: read them in their context, and label them `right`, `wrong` or `arguable` with a few words. Wrong ones become
silent cases. `python -m tests.corpus PROJECT…` looks at a few of them.
"""
