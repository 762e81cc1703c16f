package slalog

import (
	"regexp"

	"keywatch/internal/sla"
)

// What KMS writes: anything else in its place may be a secret.
var (
	operationForm = regexp.MustCompile(`^[A-Z][A-Za-z]{2,63}$`)
	codeForm      = regexp.MustCompile(`^[A-Z][A-Za-z.]{0,62}[a-z][A-Za-z.]{0,62}$`)
	keyForm       = regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$`)
)

// shownID is a request ID if it is a UUID.
func shownID(s []byte) string {
	if _, ok := uuidOf(s); !ok {
		return sla.Hidden
	}
	return string(s)
}

// shownCode is an error code if it is made of words: an access key has no small
// letters, and other secrets have digits.
func shownCode(s []byte) string { return inForm(codeForm, s) }

func shownOperation(s []byte) string { return inForm(operationForm, s) }

func shownKey(s []byte) string { return inForm(keyForm, s) }

// inForm is a value that a log may lack.
func inForm(form *regexp.Regexp, s []byte) string {
	if len(s) > 0 && !form.Match(s) {
		return sla.Hidden
	}
	return string(s)
}
