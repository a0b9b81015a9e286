/*
 * Charts as SVG inside an HTML page. Colours are classes of the page's style sheet, so that they
 * follow light and dark; all text is escaped. Pure but for the stream.
 */
#ifndef LAB_SVG_H
#define LAB_SVG_H

#include <stdio.h>

#include "base/check.h"

/* Text of HTML and SVG, also inside attributes. */
void svg_text(FILE *out, const char *text);

#define SVG_PARTS 3

/* A horizontal bar of parts, end to end; the spread is drawn over its end. */
struct svg_bar {
	const char *label;
	double parts[SVG_PARTS]; /* NAN and 0: not there */
	double low, high;        /* NAN: no spread */
	char value[24];          /* behind the bar */
};

/* `classes`: one a part. `max`: what the full width stands for. `title` is also read aloud. */
void svg_bars(FILE *out, const char *title, const struct svg_bar *bars, unsigned count, double max,
	      const char *const classes[SVG_PARTS]);

#define SVG_POINTS 32

struct svg_line {
	const char *label;
	const char *class_name;
	unsigned count;
	double x[SVG_POINTS], y[SVG_POINTS], low[SVG_POINTS], high[SVG_POINTS];
};

/* Lines over two logarithmic axes: bytes, and a figure. All values are above 0. `mark` > 0: a
 * vertical line there. */
void svg_lines(FILE *out, const char *title, const char *unit, const struct svg_line *lines,
	       unsigned count, double mark);

#endif
