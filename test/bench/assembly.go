package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// sameAssembly makes sure that both directories hold the same templates, with
// as many alarms and as many detectors as were asked for, and that they were
// validated or not.
func sameAssembly(a, b string, alarms int, validated bool) error {
	first, err := readTemplates(a)
	if err != nil {
		return err
	}
	second, err := readTemplates(b)
	if err != nil {
		return err
	}
	if err := errors.Join(sameTemplates(first, second), checkCounts(first, alarms), checkCounts(second, alarms)); err != nil {
		return err
	}
	for _, dir := range []string{a, b} {
		if _, err := os.Stat(filepath.Join(dir, "validation-report.json")); validated != (err == nil) {
			return fmt.Errorf("%s: validation is to be %s, and the report says otherwise (%v)", dir, onOff(validated), err)
		}
	}
	return nil
}

// readTemplates reads the templates of a cloud assembly by their file names.
func readTemplates(dir string) (map[string]map[string]any, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.template.json"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, fmt.Errorf("%s holds no templates: %w", dir, fs.ErrNotExist))
	}
	all := map[string]map[string]any{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var t map[string]any
		if err := json.Unmarshal(data, &t); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all[filepath.Base(file)] = t
	}
	return all, nil
}

// sameTemplates names the first few places where two assemblies differ.
func sameTemplates(a, b map[string]map[string]any) error {
	var differ []string
	for _, name := range union(a, b) {
		ra, _ := a[name]["Resources"].(map[string]any)
		rb, _ := b[name]["Resources"].(map[string]any)
		before := len(differ)
		for _, id := range union(ra, rb) {
			if !reflect.DeepEqual(ra[id], rb[id]) {
				differ = append(differ, name+": "+id)
			}
		}
		if len(differ) == before && !reflect.DeepEqual(a[name], b[name]) {
			differ = append(differ, name+": outside of its resources")
		}
	}
	if len(differ) == 0 {
		return nil
	}
	return fmt.Errorf("the two sides did not make the same: %d differences, such as %s", len(differ), strings.Join(differ[:min(5, len(differ))], ", "))
}

func union[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		return slices.Sorted(maps.Keys(b))
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func checkCounts(templates map[string]map[string]any, alarms int) error {
	count := map[string]int{}
	for _, t := range templates {
		resources, _ := t["Resources"].(map[string]any)
		for _, r := range resources {
			m, _ := r.(map[string]any)
			kind, _ := m["Type"].(string)
			count[kind]++
		}
	}
	want := map[string]int{"AWS::CloudWatch::Alarm": alarms, "AWS::CloudWatch::AnomalyDetector": alarms}
	if !maps.Equal(count, want) {
		return fmt.Errorf("the templates hold %v; want %v", count, want)
	}
	return nil
}
