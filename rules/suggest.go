package rules

import "strings"

// nearest is the known word that a misspelt one most likely means, or "".
func nearest(word string, known []string) string {
	best, distance := "", len(word)/3+1
	if distance > 3 {
		distance = 3
	}
	for _, k := range known {
		if k == word || len(word) > 100 || len(k) > 100 {
			continue
		}
		if d := editDistance(strings.ToLower(word), strings.ToLower(k)); d < distance || d == distance && (best == "" || k < best) {
			best, distance = k, d
		}
	}
	return best
}

// editDistance counts the letters to insert, delete, replace or swap with a neighbour to make one word of another.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
