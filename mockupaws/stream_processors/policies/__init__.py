"""What is done with a finding, as each tenant decides: mask, hash, encrypt, drop, or only flag.

Reads from: policy documents (`document.py`), as the API stores them, one row a version. Writes to: nothing.
Promises: a document is checked before it is stored, each problem named; `CompiledPolicy` is what the analyser applies
line by line, without I/O; what can't be known (a tenant's policy that never arrived, its key) is masked, never shown.
`directory.py` and `refresh_policies.py` keep a process's copy of all tenants' policies.
"""
