package model

import (
	"math"
	"strconv"
)

// ContrastWithWhite is the contrast ratio of white text on a colour "#rrggbb", from
// 1 to 21, as WCAG 2.2 computes it; 0 for what is not such a colour.
func ContrastWithWhite(color string) float64 {
	if len(color) != 7 || color[0] != '#' {
		return 0
	}
	rgb, err := strconv.ParseUint(color[1:], 16, 32)
	if err != nil {
		return 0
	}
	linear := func(c uint64) float64 {
		v := float64(c&0xff) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	luminance := 0.2126*linear(rgb>>16) + 0.7152*linear(rgb>>8) + 0.0722*linear(rgb)
	return 1.05 / (luminance + 0.05)
}
