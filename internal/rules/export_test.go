package rules

// Work is how many leaves were looked at so far, and how many compared a value.
func (e *Engine) Work() (looked, compared int) { return e.looked, e.compared }

// Remembered is how many values of tags the engine knows answers about.
func (e *Engine) Remembered() (values int) {
	for _, s := range e.subjects {
		values += len(s.known)
	}
	return values
}
