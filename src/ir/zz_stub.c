#include "ir/text.h"
tl_status tl_model_print(const tl_model *m, const tl_print_options *o, tl_text *t){(void)m;(void)o;(void)t;return TL_OK;}
void tl_node_print(const tl_node *n, tl_text *t){(void)n;(void)t;}
tl_status tl_model_parse(tl_context *cx, tl_arena *a, const char *name, tl_str t, tl_model **out){(void)cx;(void)a;(void)name;(void)t;*out=0;return TL_BUG;}
