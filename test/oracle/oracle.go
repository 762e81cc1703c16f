// Package oracle holds the sum of `keywatch sla report` to a second reckoning, in
// Python, that was written from docs/sla.md and docs/sla-logs.md and knows nothing of
// the code. Start reading at oracle.py; judge.py has the rules, generate.py the months.
package oracle
