package model

import "time"

// Check is one of the invariants of the books as it was checked last. Names are those
// that the fault tests print (docs/operations.md lists them).
type Check struct {
	Name     string        `json:"name"` // I2
	Title    string        `json:"title"`
	Rule     string        `json:"rule"` // what must hold
	RanAt    time.Time     `json:"ranAt"`
	Figures  []CheckFigure `json:"figures"`
	Wrong    int64         `json:"wrong"`    // 0: it holds
	Problems []string      `json:"problems"` // some of what does not
}

// CheckFigure is one of the numbers that were compared.
type CheckFigure struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}
