#include "lab/svg.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

void svg_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(*text, out);
		}
	}
}

static void begin(FILE *out, const char *title, double width, double height)
{
	fprintf(out, "<figure><figcaption>");
	svg_text(out, title);
	fprintf(out, "</figcaption><svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"",
		width, height);
	svg_text(out, title);
	fprintf(out, "\">\n");
}

static void end(FILE *out)
{
	fprintf(out, "</svg></figure>\n");
}

/* ---- bars ---- */

enum {
	BAR_WIDTH = 460,
	BAR_RIGHT = 52,
	BAR_LETTER = 7, /* about the width of one, at 12 px */
	BAR_STEP = 24,
	BAR_THICK = 14,
};

/* Where the bars begin, and what their full length stands for. */
struct scale {
	double left, max;
};

static double bar_length(const struct scale *scale, double value)
{
	return value / scale->max * (BAR_WIDTH - scale->left - BAR_RIGHT);
}

static double bar_x(const struct scale *scale, double value)
{
	return scale->left + bar_length(scale, value);
}

static void draw_bar(FILE *out, const struct svg_bar *bar, double y, const struct scale *scale,
		     const char *const classes[SVG_PARTS])
{
	double sum = 0;

	fprintf(out, "<text class=\"label\" x=\"%.0f\" y=\"%.0f\">", scale->left - 8, y + 11);
	svg_text(out, bar->label);
	fprintf(out, "</text>");
	for (unsigned p = 0; p < SVG_PARTS; p++) {
		if (isnan(bar->parts[p]) || bar->parts[p] <= 0)
			continue;
		fprintf(out,
			"<rect class=\"%s\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%d\"/>",
			classes[p], bar_x(scale, sum), y, bar_length(scale, bar->parts[p]),
			BAR_THICK);
		sum += bar->parts[p];
	}
	if (!isnan(bar->low) && bar->high > bar->low)
		fprintf(out,
			"<path class=\"spread\" d=\"M%.1f %.0fH%.1fM%.1f %.0fv6M%.1f %.0fv6\"/>",
			bar_x(scale, bar->low), y + 7, bar_x(scale, bar->high),
			bar_x(scale, bar->low), y + 4, bar_x(scale, bar->high), y + 4);
	if (!isnan(bar->high) && bar->high > sum)
		sum = bar->high;
	fprintf(out, "<text class=\"value\" x=\"%.1f\" y=\"%.0f\">", bar_x(scale, sum) + 6, y + 11);
	svg_text(out, bar->value);
	fprintf(out, "</text>\n");
}

void svg_bars(FILE *out, const char *title, const struct svg_bar *bars, unsigned count, double max,
	      const char *const classes[SVG_PARTS])
{
	double height = 6 + BAR_STEP * (double)count;
	struct scale scale = {.left = 0, .max = max};

	for (unsigned i = 0; i < count; i++)
		scale.left = fmax(scale.left, 12 + BAR_LETTER * (double)strlen(bars[i].label));
	begin(out, title, BAR_WIDTH, height);
	fprintf(out, "<path class=\"axis\" d=\"M%.0f 0V%.0f\"/>\n", scale.left, height);
	for (unsigned i = 0; i < count; i++)
		draw_bar(out, &bars[i], 6 + BAR_STEP * (double)i, &scale, classes);
	end(out);
}

/* ---- lines ---- */

enum {
	LINE_WIDTH = 760,
	LINE_HEIGHT = 340,
	LINE_LEFT = 56,
	LINE_RIGHT = 90,
	LINE_TOP = 10,
	LINE_BOTTOM = 34,
	NAME_STEP = 14,
	LINES_MAX = 12,
};

struct frame {
	double x0, x1, y0, y1; /* logarithms */
};

static double line_x(const struct frame *frame, double x)
{
	return LINE_LEFT + (log2(x) - frame->x0) / (frame->x1 - frame->x0) *
			       (LINE_WIDTH - LINE_LEFT - LINE_RIGHT);
}

static double line_y(const struct frame *frame, double y)
{
	return LINE_HEIGHT - LINE_BOTTOM -
	       (log10(y) - frame->y0) / (frame->y1 - frame->y0) *
		   (LINE_HEIGHT - LINE_TOP - LINE_BOTTOM);
}

static struct frame frame_of(const struct svg_line *lines, unsigned count)
{
	struct frame frame = {INFINITY, -INFINITY, INFINITY, -INFINITY};

	for (unsigned l = 0; l < count; l++) {
		for (unsigned p = 0; p < lines[l].count; p++) {
			frame.x0 = fmin(frame.x0, log2(lines[l].x[p]));
			frame.x1 = fmax(frame.x1, log2(lines[l].x[p]));
			frame.y0 = fmin(frame.y0, log10(lines[l].low[p]));
			frame.y1 = fmax(frame.y1, log10(lines[l].high[p]));
		}
	}
	if (frame.x1 <= frame.x0)
		frame.x1 = frame.x0 + 1;
	frame.y0 -= 0.05;
	frame.y1 += 0.05;
	return frame;
}

static void draw_axes(FILE *out, const struct frame *frame, const char *unit)
{
	static const double steps[] = {1, 2, 5};
	const double right = LINE_WIDTH - LINE_RIGHT, bottom = LINE_HEIGHT - LINE_BOTTOM;
	char text[SIZE_TEXT_MAX];

	for (double power = floor(frame->y0); power <= frame->y1; power++) {
		for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
			double value = steps[i] * pow(10, power), y = line_y(frame, value);

			if (y < LINE_TOP || y > bottom)
				continue;
			fprintf(out,
				"<path class=\"grid\" d=\"M%d %.1fH%.1f\"/><text class=\"label\" "
				"x=\"%d\" y=\"%.1f\">%g</text>\n",
				LINE_LEFT, y, right, LINE_LEFT - 6, y + 4, value);
		}
	}
	for (double power = ceil(frame->x0); power <= frame->x1; power += 2) {
		double x = line_x(frame, exp2(power));

		fprintf(out,
			"<path class=\"grid\" d=\"M%.1f %dV%.1f\"/><text class=\"tick\" x=\"%.1f\" "
			"y=\"%.1f\">%s</text>\n",
			x, LINE_TOP, bottom, x, bottom + 16,
			size_format((uint64_t)exp2(power), text));
	}
	fprintf(out, "<text class=\"unit\" x=\"%d\" y=\"%d\">", LINE_LEFT, LINE_HEIGHT - 2);
	svg_text(out, unit);
	fprintf(out, "</text>\n");
}

static void draw_line(FILE *out, const struct frame *frame, const struct svg_line *line)
{
	fprintf(out, "<g class=\"%s\"><path class=\"band\" d=\"", line->class_name);
	for (unsigned p = 0; p < line->count; p++)
		fprintf(out, "%c%.1f %.1f", p ? 'L' : 'M', line_x(frame, line->x[p]),
			line_y(frame, line->high[p]));
	for (unsigned p = line->count; p-- > 0;)
		fprintf(out, "L%.1f %.1f", line_x(frame, line->x[p]), line_y(frame, line->low[p]));
	fprintf(out, "Z\"/><path class=\"line\" d=\"");
	for (unsigned p = 0; p < line->count; p++)
		fprintf(out, "%c%.1f %.1f", p ? 'L' : 'M', line_x(frame, line->x[p]),
			line_y(frame, line->y[p]));
	fprintf(out, "\"/>");
	for (unsigned p = 0; p < line->count; p++)
		fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>",
			line_x(frame, line->x[p]), line_y(frame, line->y[p]));
	fprintf(out, "</g>\n");
}

struct name {
	const struct svg_line *line;
	double y;
};

/* The lines' names from the top down, at their right ends. */
static void sort_names(const struct frame *frame, const struct svg_line *lines, unsigned count,
		       struct name *names)
{
	for (unsigned n = 0; n < count; n++) {
		struct name name = {&lines[n], line_y(frame, lines[n].y[lines[n].count - 1])};
		unsigned at = n;

		for (; at > 0 && names[at - 1].y > name.y; at--)
			names[at] = names[at - 1];
		names[at] = name;
	}
}

/* Where they would touch they are pushed apart: downwards, and from the bottom up again. */
static void draw_names(FILE *out, const struct frame *frame, const struct svg_line *lines,
		       unsigned count)
{
	struct name names[LINES_MAX];
	double limit = LINE_HEIGHT - LINE_BOTTOM;

	sort_names(frame, lines, count, names);
	for (unsigned n = 1; n < count; n++)
		names[n].y = fmax(names[n].y, names[n - 1].y + NAME_STEP);
	for (unsigned n = count; n-- > 0; limit = names[n].y - NAME_STEP)
		names[n].y = fmin(names[n].y, limit);
	for (unsigned n = 0; n < count; n++) {
		fprintf(out, "<text class=\"name %s\" x=\"%d\" y=\"%.1f\">",
			names[n].line->class_name, LINE_WIDTH - LINE_RIGHT + 8, names[n].y + 4);
		svg_text(out, names[n].line->label);
		fprintf(out, "</text>\n");
	}
}

void svg_lines(FILE *out, const char *title, const char *unit, const struct svg_line *lines,
	       unsigned count, double mark)
{
	struct frame frame = frame_of(lines, count);

	CHECK(count > 0 && count <= LINES_MAX);
	begin(out, title, LINE_WIDTH, LINE_HEIGHT);
	draw_axes(out, &frame, unit);
	if (mark > 0 && log2(mark) >= frame.x0 && log2(mark) <= frame.x1)
		fprintf(out, "<path class=\"mark\" d=\"M%.1f %dV%d\"/>\n", line_x(&frame, mark),
			LINE_TOP, LINE_HEIGHT - LINE_BOTTOM);
	for (unsigned l = 0; l < count; l++)
		draw_line(out, &frame, &lines[l]);
	draw_names(out, &frame, lines, count);
	end(out);
}
