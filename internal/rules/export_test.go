package rules

// Work is how many leaves were looked at so far, and how many compared a value.
func (e *Engine) Work() (looked, compared int) { return e.looked, e.compared }
