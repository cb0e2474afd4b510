// The legend of the suffix shapes in engine/model and engine/runtime: x_TD is a tensor of shape [T, D].
//
//     B  batch: images, or packed rows          T  tokens of a step, flat over sequences or rows
//     L  length of a padded row                 D  width of the decoder
//     W  width of the vision encoder            N  vision tokens of one image (rows x columns)
//     P  image tokens of one image              M  channels of an image token: D, and I injected ones behind
//     I  channels injected, D for a layer each  H  query heads
//     G  key/value heads (GQA)                  C  channels of a head
//     E  experts                                K  experts per token (top-k)
//     F  hidden width of an expert              R  routed rows, T*K
//     V  vocabulary                             S  sequences
//
// Thread-safe: it declares nothing. Include it where names have these suffixes.
#pragma once
