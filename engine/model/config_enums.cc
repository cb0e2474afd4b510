#include "engine/model/config_enums.h"

namespace sf {

const ConfigChoices<StemKind>& config_choices(StemKind) {
  static const ConfigChoices<StemKind> choices = {
      {StemKind::kConv, "conv"}, {StemKind::kPatch, "patch"}, {StemKind::kLinear, "linear"}};
  return choices;
}

const ConfigChoices<PositionEmbedding>& config_choices(PositionEmbedding) {
  static const ConfigChoices<PositionEmbedding> choices = {{PositionEmbedding::kAxes, "axes"},
                                                           {PositionEmbedding::kTable, "table"}};
  return choices;
}

const ConfigChoices<VisionActivation>& config_choices(VisionActivation) {
  static const ConfigChoices<VisionActivation> choices = {{VisionActivation::kGelu, "gelu"},
                                                          {VisionActivation::kQuickGelu, "quick_gelu"},
                                                          {VisionActivation::kGeluTanh, "gelu_tanh"},
                                                          {VisionActivation::kRelu, "relu"}};
  return choices;
}

const ConfigChoices<VisionFeatures>& config_choices(VisionFeatures) {
  static const ConfigChoices<VisionFeatures> choices = {
      {VisionFeatures::kPatches, "patches"}, {VisionFeatures::kAll, "all"}, {VisionFeatures::kClass, "class"}};
  return choices;
}

const ConfigChoices<ExpertActivation>& config_choices(ExpertActivation) {
  static const ConfigChoices<ExpertActivation> choices = {
      {ExpertActivation::kSwiglu, "swiglu"}, {ExpertActivation::kGelu, "gelu"}, {ExpertActivation::kRelu, "relu"}};
  return choices;
}

const ConfigChoices<RouterSoftmax>& config_choices(RouterSoftmax) {
  static const ConfigChoices<RouterSoftmax> choices = {{RouterSoftmax::kBefore, "before"},
                                                       {RouterSoftmax::kAfter, "after"}};
  return choices;
}

const ConfigChoices<DropOrder>& config_choices(DropOrder) {
  static const ConfigChoices<DropOrder> choices = {{DropOrder::kPosition, "position"},
                                                   {DropOrder::kChoice, "choice"},
                                                   {DropOrder::kProbability, "probability"},
                                                   {DropOrder::kBatchPriority, "batch_priority"}};
  return choices;
}

const ConfigChoices<ExpertDropout>& config_choices(ExpertDropout) {
  static const ConfigChoices<ExpertDropout> choices = {
      {ExpertDropout::kOutput, "output"}, {ExpertDropout::kHidden, "hidden"}, {ExpertDropout::kExpert, "expert"}};
  return choices;
}

const ConfigChoices<PositionKind>& config_choices(PositionKind) {
  static const ConfigChoices<PositionKind> choices = {{PositionKind::kRope, "rope"},
                                                      {PositionKind::kLearned, "learned"}};
  return choices;
}

const ConfigChoices<RopeKind>& config_choices(RopeKind) {
  static const ConfigChoices<RopeKind> choices = {{RopeKind::k1d, "1d"}, {RopeKind::kMrope2d, "mrope2d"}};
  return choices;
}

const ConfigChoices<NormKind>& config_choices(NormKind) {
  static const ConfigChoices<NormKind> choices = {{NormKind::kRms, "rms"}, {NormKind::kLayer, "layer"}};
  return choices;
}

const ConfigChoices<ImageResize>& config_choices(ImageResize) {
  static const ConfigChoices<ImageResize> choices = {
      {ImageResize::kFit, "fit"}, {ImageResize::kCrop, "crop"}, {ImageResize::kStretch, "stretch"}};
  return choices;
}

const ConfigChoices<ImageResample>& config_choices(ImageResample) {
  static const ConfigChoices<ImageResample> choices = {{ImageResample::kBicubic, "bicubic"},
                                                       {ImageResample::kBilinear, "bilinear"}};
  return choices;
}

const ConfigChoices<ImageCropOffset>& config_choices(ImageCropOffset) {
  static const ConfigChoices<ImageCropOffset> choices = {{ImageCropOffset::kEven, "even"},
                                                         {ImageCropOffset::kFloor, "floor"}};
  return choices;
}

const ConfigChoices<ProjectorKind>& config_choices(ProjectorKind) {
  static const ConfigChoices<ProjectorKind> choices = {{ProjectorKind::kShuffle2, "shuffle2"},
                                                       {ProjectorKind::kMlp, "mlp"},
                                                       {ProjectorKind::kCls, "cls"},
                                                       {ProjectorKind::kNone, "none"}};
  return choices;
}

const ConfigChoices<Dtype>& config_choices(Dtype) {
  static const ConfigChoices<Dtype> choices = {{Dtype::kF32, "f32"}, {Dtype::kBF16, "bf16"}, {Dtype::kF16, "f16"}};
  return choices;
}

}  // namespace sf
