/* Text form of models: the language of tests, of `inspect --ir` and of bug reports. print ∘ parse is the
 * identity on text that print wrote. Ids are positional, so equal models print equally.
 *
 *   model "digits.onnx"
 *   symbol n 1..512 hint=4
 *   const %c0 : f32[3] = {1, 2.5, -3}
 *   const %c1 "conv.weight" : f32[8,3,3,1] = splat 0.5
 *   const %c2 : f32[64,64] = random 7            (parse only: seeded values in [-1, 1))
 *   entry "main"(%0 "image": f32[n,8,8,3]) -> ("logits") {
 *     %1 "conv1" = conv(%0, %c1, %c0) stride=[2,2] pad_lo=[1,1] pad_hi=[1,1] : f32[n,4,4,8]
 *     %2, %3 = split(%1) axis=3 sizes=[4,4] : f32[n,4,4,4], f32[n,4,4,4]
 *     %4 = if(%b, %2) : f32[n,4,4,4] {
 *       graph(%5: f32[n,4,4,4]) { %6 = relu(%5) : ... return %6 }
 *       graph(%7: f32[n,4,4,4]) { return %7 }
 *     }
 *     return %4
 *   }
 *
 * A name in quotes is that of the value in the source. An absent operand prints as _. Hidden state stands
 * behind a semicolon: entry "step"(%0 "x": f32[2]; %1 "h": f32[2]) -> ("y"; "h"). Poison has the type
 * `poison`. The type after the colon is optional when parsing; when given it must be what inference finds,
 * but for symbols born there, which get the names given. Symbols need no declaration where they first
 * stand in the type of a value. Ids may be any word when parsing, unique in their graph; a child graph
 * sees its own values and the constants.
 *
 * Constants that are not used are not printed. Large ones print as splat, or as `file <size> hash=...`
 * with a hash of their content; such text does not parse (M006). Further forms: iota START STEP; random N
 * gives integers over the range of i8 or u8. Quantised types: see type.h. # starts a comment. */
#ifndef TL_IR_TEXT_H
#define TL_IR_TEXT_H

#include "ir/graph.h"

typedef struct tl_print_options {
    bool types;      /* after each node; default true in the CLI */
    bool origins;    /* as comments # at ... */
    size_t max_inline; /* constants up to this many elements are printed in full */
} tl_print_options;

tl_status tl_model_print(const tl_model *model, const tl_print_options *options, tl_text *text);
void tl_node_print(const tl_node *node, tl_text *text); /* one line, for messages */
/* Ops of both kinds are accepted; model->legal is TFL when any op is TFL. name is used in messages
 * ("name:line: expected ..., found ..."). */
tl_status tl_model_parse(tl_context *cx, tl_arena *arena, const char *name, tl_str text,
                         tl_model **out);

#endif
