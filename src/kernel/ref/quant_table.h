/* Tables of functions on quantised numbers. Of 8 bits: one entry per number. Of 16 bits: 513 entries
 * at every 128th number, between which straight lines run; each is moved by half the error that the
 * line after it has in its middle. */
#ifndef TL_KERNEL_REF_QUANT_TABLE_H
#define TL_KERNEL_REF_QUANT_TABLE_H

#include "kernel/ref/ref.h"

#define TL_REF_TABLE_STEPS 512

typedef struct tl_ref_table {
    tl_dtype dtype;
    int16_t y[TL_REF_TABLE_STEPS + 1];
} tl_ref_table;

/* The table of call->op for operand 0 and result 0, of one type; false: there is none. */
bool tl_ref_table_fill(tl_ref_table *table, const tl_call *call);
/* 16 bits: f at real = scale (q - zero), as steps of y_scale; in double precision. */
void tl_ref_table_fill_16(tl_ref_table *table, double (*f)(double), double x_scale, int32_t x_zero,
                          double y_scale);
int64_t tl_ref_table_at(const tl_ref_table *table, int64_t x);

#endif
