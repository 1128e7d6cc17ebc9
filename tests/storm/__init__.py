"""A storm over the whole bot: processes killed and GitHub failing at random, and nothing lost or repeated

```sh
python -m tests.storm --seed 7
```

The same plan (`plan`) is carried out twice against a simulated GitHub: in a calm, and while `trouble` kills
processes and GitHub answers a tenth of all calls badly. What stands on the pull requests at the end (`outcome`) has to
be the same.
"""
