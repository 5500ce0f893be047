/* Half precision and bfloat16: bit patterns to and from float, round to nearest even. */
#ifndef TL_BASE_HALF_H
#define TL_BASE_HALF_H

#include "base/platform.h"

float tl_f16_to_f32(uint16_t bits);
uint16_t tl_f32_to_f16(float x); /* overflow to infinity, NaN stays NaN */
float tl_bf16_to_f32(uint16_t bits);
uint16_t tl_f32_to_bf16(float x);
float tl_bits_to_f32(uint32_t bits);
uint32_t tl_f32_to_bits(float x);

#endif
