package spec_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keywatch/constructs/spec"
)

// The table "Which operations apply to which key" of the KMS Developer Guide
// ("Key spec reference"), without ReEncrypt. A pair that is not here is unknown.
var documented = map[string]map[string][]spec.Operation{
	"ENCRYPT_DECRYPT": merge(
		each([]string{"SYMMETRIC_DEFAULT"}, "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext"),
		each([]string{"RSA_2048", "RSA_3072", "RSA_4096", "SM2"}, "Decrypt", "Encrypt"),
	),
	"SIGN_VERIFY": each([]string{
		"RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1",
		"ECC_NIST_EDWARDS25519", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "SM2",
	}, "Sign", "Verify"),
	"GENERATE_VERIFY_MAC": each([]string{"HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"}, "GenerateMac", "VerifyMac"),
	"KEY_AGREEMENT":       each([]string{"ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "SM2"}, "DeriveSharedSecret"),
}

var (
	allUsages = []string{"ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT", "", "WRAP_UNWRAP", "encrypt_decrypt"}
	allSpecs  = []string{
		"SYMMETRIC_DEFAULT", "RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1",
		"ECC_NIST_EDWARDS25519", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "SM2",
		"", "RSA_8192", "ML_KEM_768", "symmetric_default", "ECC_NIST_P256 ",
	}
)

func each(specs []string, ops ...spec.Operation) map[string][]spec.Operation {
	out := map[string][]spec.Operation{}
	for _, s := range specs {
		out[s] = ops
	}
	return out
}

func merge(maps ...map[string][]spec.Operation) map[string][]spec.Operation {
	out := map[string][]spec.Operation{}
	for _, m := range maps {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

func TestApplicableIsTheDocumentedTable(t *testing.T) {
	for _, usage := range allUsages {
		for _, keySpec := range allSpecs {
			want, known := documented[usage][keySpec]
			got, ok := spec.Applicable(usage, keySpec)
			if ok != known || !cmp.Equal(got, want) {
				t.Errorf("Applicable(%q, %q) = %v, %v; want %v, %v", usage, keySpec, got, ok, want, known)
			}
		}
	}
}

func TestCoreLeavesOutDataKeyPairs(t *testing.T) {
	for _, usage := range allUsages {
		for _, keySpec := range allSpecs {
			var want []spec.Operation
			for _, op := range documented[usage][keySpec] {
				if op != "GenerateDataKeyPair" && op != "GenerateDataKeyPairWithoutPlaintext" {
					want = append(want, op)
				}
			}
			_, known := documented[usage][keySpec]
			got, ok := spec.Core(usage, keySpec)
			if ok != known || !cmp.Equal(got, want) {
				t.Errorf("Core(%q, %q) = %v, %v; want %v, %v", usage, keySpec, got, ok, want, known)
			}
		}
	}
}

func TestOperationListsAreTheCallersOwn(t *testing.T) {
	lists := map[string]func() []spec.Operation{
		"Watchable":  spec.Watchable,
		"Applicable": func() []spec.Operation { ops, _ := spec.Applicable("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"); return ops },
		"Core":       func() []spec.Operation { ops, _ := spec.Core("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"); return ops },
	}
	for name, list := range lists {
		before := slices.Clone(list())
		got := list()
		for i := range got {
			got[i] = "spoilt"
		}
		_ = append(got, "spoilt too")
		if !cmp.Equal(list(), before) {
			t.Errorf("%s: a caller who writes to the list changes it for all", name)
		}
		if !slices.IsSorted(before) {
			t.Errorf("%s is not sorted: %v", name, before)
		}
	}
}

func TestReEncryptHasNoSeriesPerKey(t *testing.T) {
	if spec.IsWatchable(spec.ReEncrypt) || slices.Contains(spec.Watchable(), spec.ReEncrypt) {
		t.Error("ReEncrypt is watchable; its dimensions are SourceKeyArn, DestinationKeyArn and Operation")
	}
	// The values of KeyLastUsageTrackingOperation (KMS API Reference) but it.
	if n := len(spec.Watchable()); n != 11 {
		t.Errorf("%d operations are watchable, want 11", n)
	}
	for _, op := range spec.Watchable() {
		if !spec.IsWatchable(op) {
			t.Errorf("%s is in the list and not watchable", op)
		}
	}
}

func TestJoinOperations(t *testing.T) {
	for want, ops := range map[string][]spec.Operation{
		"": nil, "Sign": {"Sign"}, "Decrypt+Encrypt": {"Decrypt", "Encrypt"},
	} {
		if got := spec.JoinOperations(ops, "+"); got != want {
			t.Errorf("JoinOperations(%v) = %q, want %q", ops, got, want)
		}
	}
}
